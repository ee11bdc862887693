"""What a robot sees and finds, live in browsers: clouds and masks come in, clicks and pressed buttons go out.

Only ``server``, ``shown_view`` and ``panel`` talk to viser; the state is plain, so that tests can do without a browser.
"""
