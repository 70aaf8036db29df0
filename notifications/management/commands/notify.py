"""`manage.py notify`: lists channels, tests one, lists what was given up, and has it sent again."""

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from notifications import sending
from notifications.models import Channel, Message

SHOWN = 200


class Command(BaseCommand):
    help = "List channels, send a test to one, list messages that were given up, and have them sent again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("channels", help="list the channels and what became of their last messages")
        test = acts.add_parser("test", help="have a test sent to a channel")
        test.add_argument("channel", help="its name")
        failed = acts.add_parser(
            "failed", help=f"list messages that were given up, newest first, at most {SHOWN}"
        )
        failed.add_argument("--channel", help="only those to the channel of this name")
        again = acts.add_parser("resend", help="have messages sent again")
        again.add_argument("message", nargs="*", type=int, help="their numbers")
        again.add_argument(
            "--failed", action="store_true", help=f"the newest that were given up, at most {SHOWN}"
        )
        again.add_argument("--channel", help="with --failed: only those to the channel of this name")

    def handle(self, *args: Any, **options: Any) -> None:
        act = {"channels": self._channels, "test": self._test, "failed": self._failed, "resend": self._resend}
        act[options["act"]](options)

    def _channels(self, options: dict[str, Any]) -> None:
        for channel in Channel.objects.all():
            state = "" if channel.is_enabled else ", off"
            self.stdout.write(f"{channel.name} ({channel.get_kind_display()}{state}): {channel.address}")
            last = channel.messages.order_by("-pk").first()
            if last is not None:
                self.stdout.write(f"    {_line(last)}")

    def _test(self, options: dict[str, Any]) -> None:
        channel = _channel(options["channel"])
        message = sending.send_test(channel, by=_account())
        self.stdout.write(
            f"Message {message.pk} is on its way to {channel.name}; the sweep of a worker or beat sends it."
        )

    def _failed(self, options: dict[str, Any]) -> None:
        for message in _given_up(options["channel"]):
            self.stdout.write(_line(message))

    def _resend(self, options: dict[str, Any]) -> None:
        numbers = options["message"]
        if bool(numbers) == options["failed"] or (options["channel"] and not options["failed"]):
            raise CommandError("Expected the numbers of messages, or --failed (and --channel with it).")
        if options["failed"]:
            numbers = [message.pk for message in _given_up(options["channel"])]
        found = Message.objects.select_related("channel").in_bulk(numbers)
        refused = [f"There is no message {number}." for number in numbers if number not in found]
        for message in found.values():
            try:
                sending.resend(message, by=_account())
            except sending.NotResendable as error:
                refused.append(str(error))
            else:
                self.stdout.write(f"Message {message.pk} is sent to {message.channel} again.")
        if refused:
            raise CommandError(" ".join(refused))


def _given_up(channel: str | None) -> list[Message]:
    found = Message.objects.filter(status=Message.Status.FAILED).select_related("channel")
    if channel is not None:
        found = found.filter(channel=_channel(channel))
    return list(found.defer("payload", "text").order_by("-pk")[:SHOWN])


def _channel(name: str) -> Channel:
    found = Channel.objects.filter(name=name).first()
    if found is None:
        known = ", ".join(Channel.objects.values_list("name", flat=True)[:20]) or "none"
        raise CommandError(f"There is no channel {name!r}; there are: {known}.")
    return found


def _line(message: Message) -> str:
    status = "given up" if message.status == Message.Status.FAILED else message.status
    last = message.sendings.first()
    why = (
        f": {last.error}" if last is not None and last.error and message.status != Message.Status.SENT else ""
    )
    return f"{message.pk}  {message.created_at:%Y-%m-%d %H:%M}Z  {message.subject}, {status}{why}"


def _account() -> str:
    try:
        return f"command notify ({getpass.getuser()})"
    except (KeyError, OSError, ImportError):
        return "command notify"
