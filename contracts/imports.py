"""What marks rows that an import brought: their place on the tape, and the series that only files have."""

# The name under which the importer writes its tape. A row's own venue is where it was traded.
IMPORT = "import"
# What the connection id of every imported payload begins with.
CONNECTION_PREFIX = "import-"
# Series of recorded files: those of Lean, and those of tables with anybody's columns. What REST answers belongs to the
# series of the venue's feed.
LEAN, FILE = "lean", "file"
IMPORTED_SPACES = (f"{LEAN}.", f"{FILE}.")
