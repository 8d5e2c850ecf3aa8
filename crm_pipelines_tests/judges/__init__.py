"""What programs that nobody here wrote say of ours: a real n8n, on a machine that has it.

`make judges` installs it, into a folder outside the repository, and runs these tests; anywhere else they are skipped.
n8n's licence, the Sustainable Use License, allows running it for this; nothing of it is kept or shipped here.
"""
