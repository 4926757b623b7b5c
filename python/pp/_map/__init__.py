"""`Server.map` and its kin: a function over many items, some at a time in one job.

`call` begins one, `run` and `sender` drive it in the client; `inputs`, `sizes` and
`pieces` are what they cut the input into, and `chunk` is what workers run. `results` hands
the results out, and `arun` does so on an event loop, for which `arrivals` takes items.
"""
