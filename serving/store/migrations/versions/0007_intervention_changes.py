"""Changes of interventions, the names of the people who recorded them, and suppressed alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade the schema."""
    op.create_table(
        "intervention_changes",
        sa.Column("intervention_id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_by", sa.String(length=200), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["intervention_id"],
            ["records.id"],
            name=op.f("fk_intervention_changes_intervention_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("intervention_id", "version", name=op.f("pk_intervention_changes")),
    )
    # SQLite changes a table by copying and dropping it, which would delete the rows that refer to it. A new column
    # needs no copy.
    op.add_column("records", sa.Column("author", sa.String(length=200), nullable=True))
    op.add_column("alerts", sa.Column("suppressed", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Downgrade the schema."""
    op.drop_table("intervention_changes")
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.drop_column("suppressed")
    with op.batch_alter_table("records", schema=None) as batch_op:
        batch_op.drop_column("author")
