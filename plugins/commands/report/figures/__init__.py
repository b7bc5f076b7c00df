"""The figures of a report, one a file: each pictures a study, or says why it cannot."""
