"""Index due deliveries by endpoint."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade the schema."""
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.drop_index("ix_webhook_deliveries_due_at")
        batch_op.create_index("ix_webhook_deliveries_endpoint_id_due_at", ["endpoint_id", "due_at"], unique=False)


def downgrade() -> None:
    """Downgrade the schema."""
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.drop_index("ix_webhook_deliveries_endpoint_id_due_at")
        batch_op.create_index("ix_webhook_deliveries_due_at", ["due_at"], unique=False)
