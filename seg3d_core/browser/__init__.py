"""What pages in a browser share: the door before them, what they show of a cloud, what a place on the screen means.

Only ``page`` knows viser; everything else is plain, so that tests can do without a browser.
"""
