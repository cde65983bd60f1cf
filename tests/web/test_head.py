"""HEAD: the headers of the answer and nothing of its body. The test client drops bodies itself, so it is not asked."""

from __future__ import annotations

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from telltale.web import middleware


@pytest.mark.parametrize("path", ["/page/", "/healthz"])
def test_head_is_told_the_length_and_nothing_of_the_body(path):
    layer = middleware.MachinePathMiddleware(lambda request: HttpResponse("x" * 70))
    make = RequestFactory()

    whole, head = (layer(ask(path)) for ask in (make.get, make.head))

    assert (head.status_code, head.content) == (200, b"")
    assert int(head["Content-Length"]) == len(whole.content) > 0


def test_head_of_a_file_reads_none_of_its_rows():
    def rows():
        raise AssertionError("somebody read it")
        yield b""

    layer = middleware.MachinePathMiddleware(lambda request: StreamingHttpResponse(rows()))

    assert b"".join(layer(RequestFactory().head("/file/"))) == b""


@pytest.mark.django_db
def test_an_address_that_is_not_for_that_says_so_with_a_page_of_its_full_length(alice, client):
    """Browsers take as many bytes as they are told: of a page said to have none they show their own error."""
    client.force_login(alice)

    answer = client.get("/p/shop/inbox/act/")

    assert answer.status_code == 405
    assert int(answer["Content-Length"]) == len(answer.content) > 0
