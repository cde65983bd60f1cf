"""The pages of traces: the list, its exports, one trace."""

from traces.pages.listing import trace_list
from traces.pages.trace import trace_page

__all__ = ["trace_list", "trace_page"]
