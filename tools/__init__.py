"""Commands for people who work on Renewcast. Nothing here is part of the installed package."""
