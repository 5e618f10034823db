"""What `distevo-ctl demo` is made of. To be read in this order:

`platforms`, its daemons; `look`, what is asked of them again and again; `kill`, the platform that is killed on the way;
`rows`, `screen` and `lines`, what is seen on a terminal and elsewhere; `drawn`, solved tasks in colour.
"""
