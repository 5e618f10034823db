"""What `distevo-ctl benchmark` is made of. To be read in this order:

`work`, the tasks and their budget; `isolation`, what keeps platforms apart and gives each a fixed size; `platforms`,
the daemons of one cluster; `figures`, what they tell of themselves; `traces`, what they evaluated, and what of it
twice; `recovery`, a platform that is killed; `measurement`, all of this once; `series`, again and again, with one
platform and with several; `verdict`, how good that is; `document`, what is written; `curve`, the same as a picture;
`shown`, as a table.
"""
