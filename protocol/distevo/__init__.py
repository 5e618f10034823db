"""What the members of a cluster agree on, and what a problem's author imports. Pure: events in, instructions out.

Reading order, each line above what it builds on. `SPEC.md`, beside this package, is the same in words.

- values: `program` (genome and key), `population`, `merge` (the laws of union), `diversity`, `block` (programs as
  bytes)
- the problem's side: `problem` (its contract)
- what is stored: `names` (of all objects), `sealed` (how they lie there), `run`, `command`, `plan`, `member` (an
  announcement), `result`, `cluster` (the one mutable object), `checkpoint`
- what is said: `messages`, `codec` (their bytes), `machine` (state tables)
- how it travels: `contact` and `path`, `alarms`, `link` and `links`, `dialling`, `routes`, `beats`, `box`, `mail`,
  `mailboxes`, `listener`, and `routing`, which joins them
- who lives: `members`
- what a plan in force says: `outline`
- what goes in and out of a node: `events`, `instructions`, `outbox`; `encoding` carries one of these out
- a member works: `slots`, `work`, `library`, `intake`, `resting`, `foreman`, `keeper`, `session`, `handover`,
  `verifier`, `news`
- islands exchange programs: `topology`, `policies`, `migration`, `seen`, `exchange`
- a member coordinates: `lease`, `attic`, `loading`, `election`, and for one term `ledger`, `orders`, `desk`,
  `task_ends`, `given_away`, `closing`, `verdicts`, `janitor`, `coordinator`; and for who gets which island `pace`,
  `balance`, `sharding`, `weighing`, `load`, `hosts`, `forecast`, `placement`; `distribution` makes such a plan before
  there is a cluster
- the node: `node_settings`, `phase`, `following` (the plan in force), `joining`, `farewell`, `speech` (its words),
  `dispatch` and `hearing` (its mouth and ears), and `node`, which joins all; `standing`, `progress` and `view` tell
  others how it is
- `cost`: what a cluster asks of a bucket in a day
- `simulator`: whole clusters of it in virtual time
- `errors`: everything that is raised on purpose
"""
