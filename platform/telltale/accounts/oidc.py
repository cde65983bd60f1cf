"""Signing in at somebody else's: an OpenID Connect provider that the operator names in the environment.

Nobody signs up by it. It lets in who has an account under the verified address, who holds an open invitation, and,
where the operator says so, whoever has an address of a domain. It is asked over `telltale.lib.egress` alone.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from typing import Any

import jwt
import requests
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.internal import jwtkit
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import reverse
from requests.adapters import BaseAdapter

from telltale.accounts.models import User
from telltale.audit.log import record
from telltale.lib import egress
from telltale.projects import joining

logger = logging.getLogger("telltale.oidc")
PROVIDER = "oidc"
# Signed by a key that the provider alone has: a shared secret or none at all is refused.
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"})
ANSWER_BYTES_MAX = 256 * 1024
REASONS = ("another issuer", "algorithm", "another try", "no subject", "another subject")
FAILED = "Signing in there did not work. Try again, or ask who operates this server."
NOT_INVITED = "There is no account here for that address. An admin of your project can invite it."
NOT_VERIFIED = "That provider does not vouch for your e-mail address, so nobody can be told by it."


def is_on() -> bool:
    """Whether the operator named a provider."""
    return bool(settings.TELLTALE_OIDC_ISSUER and settings.TELLTALE_OIDC_CLIENT_ID)


class EgressAdapter(BaseAdapter):
    """Lets `requests` out by our one way out, with its rules of addresses, time and size."""

    def send(self, request: Any, **_: Any) -> requests.Response:  # type: ignore[override]
        """The answer of one request; requests.ConnectionError where there is none."""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in OURS}
        body = request.body or b""
        try:
            answer = egress.request(
                request.method,
                request.url,
                headers=headers,
                body=body.encode() if isinstance(body, str) else body,
                limits=egress.Limits(answer_bytes=ANSWER_BYTES_MAX),
            )
        except egress.EgressError as error:
            raise requests.ConnectionError(str(error)) from None
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response._content = answer.body
        response.url = request.url
        response.request = request
        return response

    def close(self) -> None:
        """Nothing is kept open."""


# Set by egress, or a promise about encodings that it does not read.
OURS = {"host", "content-length", "connection", "accept-encoding", "user-agent"}


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    def get_requests_session(self) -> requests.Session:
        """A session that goes out by `telltale.lib.egress`, follows nothing and reads no proxy or netrc."""
        session = requests.Session()
        session.trust_env = False
        session.max_redirects = 0
        for scheme in ("https://", "http://"):
            session.mount(scheme, EgressAdapter())
        return session

    def generate_state_param(self, state: dict[str, Any]) -> str:
        """What ties the way back to the browser that set out: 256 random bits."""
        return secrets.token_urlsafe(32)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Never: who may come is settled before."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Find the person an answer of the provider means; turn back who is nobody here."""
        request.signed_in_by = PROVIDER  # type: ignore[attr-defined]
        email = str(sociallogin.user.email or "").strip().lower()
        if sociallogin.is_existing:
            return
        if not email or not any(a.verified and a.email.lower() == email for a in sociallogin.email_addresses):
            raise turned_back(request, NOT_VERIFIED)
        with transaction.atomic():
            user = User.objects.filter(email=email).first()
            if user is None:
                user = joining.join_by_address(email, str(sociallogin.user.name or ""), request=request)
            if user is not None:
                sociallogin.connect(request, user)
                record("oidc.link", request=request, actor=user.email, target=user.email)
        if user is None:
            raise turned_back(request, NOT_INVITED)

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> Any:
        """Address and name as the provider tells them."""
        user = sociallogin.user
        user.email = str(data.get("email") or "")[:254].lower()
        user.name = " ".join(str(data.get("name") or "").replace("\0", "").split())[:120]
        return user

    def on_authentication_error(self, request: HttpRequest, provider: Any, **kwargs: Any) -> None:
        """Back to the login page with words of ours: what the provider said is not shown."""
        log_refusal(kwargs.get("exception"))
        raise turned_back(request, FAILED)


def log_refusal(error: BaseException | None) -> None:
    """A line that says why an answer of the provider was refused, in our words alone."""
    reason = next((text for text in REASONS if text == str(error)), type(error).__name__)
    logger.warning("an answer of the provider was refused: %s", reason)


def turned_back(request: HttpRequest, words: str) -> ImmediateHttpResponse:
    """The way back to the login page, written down as a refused sign-in."""
    record("login", request=request, actor="unknown", outcome="refused", after={"by": PROVIDER})
    messages.error(request, words)
    return ImmediateHttpResponse(redirect("account_login"))


class OidcProvider(OpenIDConnectProvider):  # type: ignore[misc]
    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **kwargs: Any
    ) -> HttpResponseBase:
        """Off to the provider with a nonce of this try, kept with its state; an id token must bring it back."""
        nonce = secrets.token_urlsafe(32)
        told = kwargs.pop("auth_params", None)
        asked = {**(self.get_auth_params() if told is None else told), "nonce": nonce}
        answer: HttpResponseBase = super().redirect(
            request, process, next_url, data, auth_params=asked, nonce=nonce, **kwargs
        )
        return answer


class OidcCallback(OAuth2CallbackView):  # type: ignore[misc]
    def _get_state(self, request: HttpRequest, provider: Any) -> Any:
        """The state of the try that comes back; the adapter holds its nonce against the id token."""
        state, response = super()._get_state(request, provider)
        self.adapter.nonce = str((state or {}).get("nonce") or "")
        return state, response


class OidcAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """The provider's side as we want it: our public address, its own issuer, a signature that was checked."""

    # Of the try that comes back; empty where nobody set out.
    nonce = ""

    @property
    def openid_config(self) -> dict[str, Any]:
        """What the provider says of itself; OAuth2Error where it is another than the one that was named."""
        config: dict[str, Any] = super().openid_config
        if str(config["issuer"]) != settings.TELLTALE_OIDC_ISSUER:
            raise OAuth2Error("another issuer")
        return config

    def get_provider(self) -> Any:
        """The provider, which asks by us when it sends somebody off, too."""
        plain = super().get_provider()
        provider = OidcProvider(plain.request, app=plain.app)
        provider.oauth2_adapter_class = type(self)
        return provider

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        """On our public address, whatever the request called us."""
        return f"{settings.TELLTALE_PUBLIC_URL}{reverse('openid_connect_callback', kwargs={'provider_id': PROVIDER})}"

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> SocialLogin:
        """The person of a checked id token; name and address from userinfo where the token has none."""
        id_token = str(kwargs["response"].get("id_token") or "")
        if str(jwt.get_unverified_header(id_token).get("alg")) not in ALGORITHMS:
            raise OAuth2Error("algorithm")
        claims = jwtkit.verify_and_decode(
            credential=id_token,
            keys_url=self.openid_config["jwks_uri"],
            issuer=self.openid_config["issuer"],
            audience=app.client_id,
            lookup_kid=jwtkit.lookup_kid_jwk,
        )
        told = str(claims.get("nonce") or "")
        if not self.nonce or not hmac.compare_digest(told.encode(), self.nonce.encode()):
            raise OAuth2Error("another try")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise OAuth2Error("no subject")
        if not claims.get("email") and self.openid_config.get("userinfo_endpoint"):
            person = self._fetch_user_info(token.token)
            if person.get("sub") != claims["sub"]:
                raise OAuth2Error("another subject")
            claims = {**person, **claims}
        held = {name: claims.get(name) for name in ("sub", "email", "email_verified", "name")}
        login: SocialLogin = self.get_provider().sociallogin_from_response(request, {"id_token": held})
        return login


def login(request: HttpRequest, provider_id: str = PROVIDER) -> HttpResponseBase:
    """Off to the provider, where somebody chose to: a page elsewhere that sends people here signs nobody in."""
    if is_on() and request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
        return redirect("account_login")
    return _guarded(OAuth2LoginView, request)


def callback(request: HttpRequest, provider_id: str = PROVIDER) -> HttpResponseBase:
    """Back from the provider."""
    return _guarded(OidcCallback, request)


def _guarded(view: Any, request: HttpRequest) -> HttpResponseBase:
    if not is_on():
        raise Http404
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET"])
    try:
        response: HttpResponseBase = view.adapter_view(OidcAdapter(request, PROVIDER))(request)
        return response
    except (
        requests.RequestException, OAuth2Error, jwt.PyJWTError, KeyError, ValueError, TypeError, AttributeError,
    ) as error:  # fmt: skip
        # What the provider answered is no answer; it goes nowhere.
        log_refusal(error)
        back: HttpResponseBase = turned_back(request, FAILED).response
        return back
