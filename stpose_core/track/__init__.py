"""People over time: tracking, linking, correction, choice, and resampling to a uniform time grid."""
