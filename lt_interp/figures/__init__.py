"""Figures: functions that draw a saved result on an axis."""
