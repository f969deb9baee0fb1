"""Accounts and mail, kept in memory: this example is about the forms of steps."""

from onboarding.models import Mail, Signup, User
from wfgen import Retry, define_worker


@define_worker("users.create", retry=Retry(attempts=3))
async def create_user(signup: Signup) -> User:
    """Create the account."""
    return User(id=f"user-{signup.email.partition('@')[0]}", email=signup.email)


@define_worker("mail.send", timeout="10s")
def send(mail: Mail) -> str:
    """Send one mail; gives its id."""
    return f"{mail.subject} -> {mail.to}"


@define_worker("scores.rate")
async def rate(user: User) -> int:
    """Rate a customer."""
    return len(user.email)
