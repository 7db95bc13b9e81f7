"""A result as one self-contained page: maps linked to spectra, for any browser."""

from fusion.report.report import Report, report

__all__ = ["Report", "report"]
