"""Packs in a mapping: what a tool's export gives, through the date that it reaches."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.signals.signals import open_signals

TABLES = {
    "customer": "id,name,created\nc1,Acme,2024-01-01",
    "subscription": "id,customer_id,status,start_date,current_period_start,current_period_end,cancel_at_period_end,canceled_at,_fivetran_synced\n"
    "s1,c1,active,2024-01-01,2024-03-01,2024-04-01,false,,2024-03-20 10:00:00",
    "subscription_item": "id,subscription_id,plan_id,quantity\ni1,s1,p1,3",
    "price": "id,currency,unit_amount,recurring_interval\np1,usd,1000,month",
    "charge": "id,customer_id,created,amount,currency,status\nh1,c1,2024-03-02,3000,usd,failed",
}


@pytest.mark.parametrize(("given", "through"), [("", datetime(2024, 3, 20, 10)), ('data_through = "2024-03-10"', datetime(2024, 3, 10))])
def test_an_export_reaches_through_its_last_sync_unless_the_mapping_says_otherwise(tmp_path: Path, given: str, through: datetime) -> None:
    (tmp_path / "stripe").mkdir()
    for name, text in TABLES.items():
        (tmp_path / "stripe" / f"{name}.csv").write_text(text, encoding="utf-8")
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(f'{given}\n[sources.billing]\nuri = "stripe"\npack = "stripe"\noptions.seats = "always"\n', encoding="utf-8")
    signals = open_signals(mapping)
    assert signals.data_through == through.replace(tzinfo=UTC)
    rows = signals.connection.table("signals_subscriptions").execute()
    # The price is known from the running term on, which began in March.
    assert rows.sort_values("started_at")["arr"].fillna(-1).tolist() == [-1.0, 360.0]
    assert rows["seats"].max() == 3
