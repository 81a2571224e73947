"""Great Expectations suites: claims about a day of stored rows, derived from the contracts and written by hand."""
