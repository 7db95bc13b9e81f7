"""Planted data, small problems and tools that several tests use. No test is in here."""
