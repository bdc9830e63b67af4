"""From the files a school has to records, row by row."""
