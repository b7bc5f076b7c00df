"""Tables, pictures and a page from the files of a study."""

from prunekit.workflows.report.writing import Report, report

__all__ = ["Report", "report"]
