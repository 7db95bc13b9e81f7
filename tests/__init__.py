"""Tests of the package. A folder holds the tests of one room; README.md says which is which."""
