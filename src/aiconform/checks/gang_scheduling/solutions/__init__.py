"""Gang scheduling as platforms have it: one adapter for each solution, and what all of them share.

`model` says what an adapter is, `choice` which one a platform gets, `room` where a gang runs and what fills the rest,
`record` what became of a gang's Pods and what that means, `timeline` how it is watched.
"""
