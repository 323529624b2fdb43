"""The default network in a browser, as a folder that any static server shows: `facerelief browser`.

`assets` holds the modules of the page. Those that find faces, cut crops and read what the network
says are twins of the Python modules of the same names, and a test compares what both say.
"""
