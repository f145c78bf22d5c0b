"""SQLAlchemy: reflection, and statements that it makes, against the server of PGHOST and its like."""
import datetime
import os

import sqlalchemy as sa
from sqlalchemy import orm

e = os.environ
engine = sa.create_engine("postgresql+psycopg2://%s:%s@%s:%s/%s" % (e["PGUSER"], e["PGPASSWORD"], e["PGHOST"], e["PGPORT"], e["PGDATABASE"]))
Base = orm.declarative_base()


class Order(Base):
    __tablename__ = "sa_orders"
    id = sa.Column(sa.BigInteger, primary_key=True, autoincrement=False)
    name = sa.Column(sa.String(40), nullable=False, server_default="nobody")
    price = sa.Column(sa.Numeric(12, 2))
    at = sa.Column(sa.DateTime(timezone=True))
    tags = sa.Column(sa.ARRAY(sa.Text))
    extra = sa.Column(sa.dialects.postgresql.JSONB)
    __table_args__ = (sa.UniqueConstraint("name", "price"),)


Base.metadata.create_all(engine)  # asks first whether the table is there
Base.metadata.create_all(engine)
at = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
with orm.Session(engine) as s:
    s.add_all([Order(id=i, name="n%d" % (i % 3), price=i * 2, at=at, tags=["a"], extra={"k": i}) for i in range(1, 10)])
    s.commit()
    assert s.query(Order).filter(Order.price > 10).count() == 4
    first = s.query(Order).order_by(Order.id).first()
    assert first.extra == {"k": 1} and first.tags == ["a"] and first.at == at, first
    first.name = "changed"
    s.commit()
    assert [r[0] for r in s.query(sa.func.sum(Order.price)).group_by(Order.name).order_by(Order.name)] == [2, 36, 22, 30]
    s.delete(first)
    s.rollback()
    assert s.query(Order).count() == 9
    s.execute(sa.delete(Order).where(Order.id == 9))
    s.commit()

inspector = sa.inspect(engine)
assert "public" in inspector.get_schema_names() and inspector.default_schema_name == "public"
assert "sa_orders" in inspector.get_table_names() and inspector.has_table("sa_orders") and not inspector.has_table("nothing")
columns = {c["name"]: c for c in inspector.get_columns("sa_orders")}
assert isinstance(columns["id"]["type"], sa.BIGINT) and not columns["id"]["nullable"]
assert columns["name"]["type"].length == 40 and "nobody" in columns["name"]["default"], columns["name"]
assert (columns["price"]["type"].precision, columns["price"]["type"].scale) == (12, 2)
assert columns["at"]["type"].timezone and isinstance(columns["tags"]["type"], sa.dialects.postgresql.ARRAY)
assert inspector.get_pk_constraint("sa_orders")["constrained_columns"] == ["id"]
assert [u["column_names"] for u in inspector.get_unique_constraints("sa_orders")] == [["name", "price"]]
assert inspector.get_foreign_keys("sa_orders") == [] and inspector.get_check_constraints("sa_orders") == []
assert {i["name"] for i in inspector.get_indexes("sa_orders")} == {"sa_orders_name_price_key"}
inspector.get_view_names()
inspector.get_table_comment("sa_orders")

metadata = sa.MetaData()
metadata.reflect(engine)
events = metadata.tables["events"]
with engine.begin() as c:
    assert c.execute(sa.select(sa.func.count()).select_from(events)).scalar() == 0
    assert c.execute(sa.text("SELECT :a + 1"), {"a": 1}).scalar() == 2
    with c.begin_nested():
        c.execute(sa.text("SELECT 1"))
Order.__table__.drop(engine)
assert not sa.inspect(engine).has_table("sa_orders")
