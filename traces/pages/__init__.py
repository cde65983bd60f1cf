"""The pages of traces: the list, its exports, one trace."""

from traces.pages.compare import trace_compare
from traces.pages.copying import trace_copy
from traces.pages.listing import trace_list
from traces.pages.trace import trace_page

__all__ = ["trace_compare", "trace_copy", "trace_list", "trace_page"]
