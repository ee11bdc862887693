"""Relabelling in a browser: events become actions of ``RelabelSession``, and its state becomes what browsers show.

Only ``server`` knows viser; everything else is plain, so that tests can do without a browser.
"""
