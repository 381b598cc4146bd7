"""How alembic runs the migrations: on the connection, and in the transaction, of whoever asks for them."""

from __future__ import annotations

from alembic import context

from insights_pipeline.state.tables import METADATA, VERSIONS

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSIONS,
    transactional_ddl=True,  # SQLite can, too, once Python leaves its transactions alone (see `database`)
    transaction_per_migration=False,
)
context.run_migrations()
