"""The report: tables and figures in, one offline HTML file out. Reads files only; never imports torch."""
