"""The private PostgreSQL: made, reached, private, and fit to start again after the worst."""

import psycopg

from tests.servers import Servers


def test_the_site_database_answers_on_a_socket(servers: Servers) -> None:
    with psycopg.connect(servers.postgres.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
