"""Retargeting with numpy alone: bone maps, solver, foot lock. The Blender extension holds a copy, so nothing here imports the rest.

The world's axes are Blender's (z up) unless a skeleton says otherwise.
"""
