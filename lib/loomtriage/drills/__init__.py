"""Drills: named faults performed in the lab, witnessed, answered blind, and taken back."""
