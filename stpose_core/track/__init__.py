"""People over time: followed through the frames, linked, cleaned, chosen, and brought onto an even time grid."""
