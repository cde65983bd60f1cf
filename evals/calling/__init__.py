"""Calls to models over the guarded way out (telltale.lib.egress): values in, values out, no rows."""
