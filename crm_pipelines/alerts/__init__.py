"""Telling people: what is worth telling, when, and through which channels.

| module | holds |
| --- | --- |
| `states` | findings in, alerts out: once when a state begins, reminders, once when it is over |
| `messages` | an alert, and its text |
| `outbox` | what each channel has not taken yet, and the sending |
| `memory` | both of the former as one string, which a sensor keeps in its cursor |
| `channels` | Slack, webhook, e-mail, Sentry, log |
"""
