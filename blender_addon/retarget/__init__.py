"""Retargeting with numpy alone: nothing in here knows Blender, so that it can be tested and used without it."""
