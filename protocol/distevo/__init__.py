"""What the members of a cluster agree on, and what a problem's author imports. Pure: events in, instructions out.

Reading order, each module above what it builds on:

- values: `program` (genome and key), `population`, `merge` (the laws of union), `diversity`, `block` (programs as
  bytes)
- the problem's side: `problem` (its contract)
- what is stored: `names` (of all objects), `sealed` (how they lie there), `run`, `command`, `plan`, `result`,
  `cluster` (the one mutable object), `checkpoint`
- the node: `events` and `instructions`, `outbox`, `lease`, `attic`, `slots`, `work`, `ledger`, `closing`,
  `foreman`, `orders`, `desk`, `keeper`, `loading`, and `node`, which joins them; `progress` and `view` tell others
  how it is
- `errors`: everything that is raised on purpose
"""
