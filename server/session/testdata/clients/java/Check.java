import java.math.BigDecimal;
import java.sql.*;
import java.time.OffsetDateTime;
import java.util.*;

/** The JDBC driver against the server whose URL is its argument. */
public class Check {
    static void is(Object got, Object want) {
        if (!Objects.equals(got, want)) throw new AssertionError("got " + got + ", want " + want);
    }

    public static void main(String[] args) throws Exception {
        try (Connection c = DriverManager.getConnection(args[0])) {
            is(c.isValid(5), true);
            DatabaseMetaData m = c.getMetaData();
            is(m.getDatabaseMajorVersion(), 15);
            try (Statement s = c.createStatement()) {
                s.execute("CREATE TABLE jd (id bigint PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x', price numeric(10,2), at timestamptz, tags text[], UNIQUE (name))");
            }
            statements(c);
            metadata(c, m);
            fetching(c);
            transactions(c);
            copying(c);
            cancelled(c);
            try (Statement s = c.createStatement()) {
                s.execute("DROP TABLE jd");
            }
        }
        try {
            DriverManager.getConnection(args[0].replace("password=secret", "password=wrong"));
            throw new AssertionError("no error");
        } catch (SQLException e) {
            is(e.getSQLState(), "28P01");
        }
    }

    static void statements(Connection c) throws SQLException {
        OffsetDateTime at = OffsetDateTime.parse("2026-01-02T03:04:05Z");
        try (PreparedStatement p = c.prepareStatement("INSERT INTO jd VALUES (?, ?, ?, ?, ?)")) {
            for (int i = 1; i <= 50; i++) {
                p.setLong(1, i);
                p.setString(2, "n" + i);
                p.setBigDecimal(3, new BigDecimal(i).movePointLeft(1));
                p.setObject(4, at);
                p.setArray(5, c.createArrayOf("text", new String[] {"a", null}));
                p.addBatch();
            }
            is(Arrays.stream(p.executeBatch()).sum(), 50);
        }
        try (PreparedStatement p = c.prepareStatement("SELECT id, name, price, at, tags FROM jd WHERE id = ?")) {
            for (int i = 1; i <= 10; i++) { // from the sixth time on, in binary
                p.setLong(1, i);
                try (ResultSet r = p.executeQuery()) {
                    is(r.next(), true);
                    is(r.getLong(1), (long) i);
                    is(r.getString("name"), "n" + i);
                    is(r.getBigDecimal(3).compareTo(new BigDecimal(i).movePointLeft(1)), 0);
                    is(r.getObject(4, OffsetDateTime.class).toInstant(), at.toInstant());
                    is(Arrays.toString((Object[]) r.getArray(5).getArray()), "[a, null]");
                    ResultSetMetaData d = r.getMetaData();
                    is(d.getTableName(1), "jd");
                    is(d.getColumnType(3), Types.NUMERIC);
                    is(d.getPrecision(3) + "," + d.getScale(3), "10,2");
                    is(d.isNullable(2), ResultSetMetaData.columnNoNulls);
                }
            }
            is(p.getParameterMetaData().getParameterType(1), Types.BIGINT);
        }
        try (Statement s = c.createStatement()) {
            is(s.executeUpdate("UPDATE jd SET price = 0 WHERE id <= 5"), 5);
            s.executeQuery("SELECT nothing FROM jd");
            throw new AssertionError("no error");
        } catch (SQLException e) {
            is(e.getSQLState(), "42703");
        }
    }

    static List<String> column(ResultSet r, String name) throws SQLException {
        List<String> out = new ArrayList<>();
        while (r.next()) out.add(r.getString(name));
        return out;
    }

    static void metadata(Connection c, DatabaseMetaData m) throws SQLException {
        is(column(m.getTables(null, "public", "jd", new String[] {"TABLE"}), "TABLE_NAME"), List.of("jd"));
        is(column(m.getColumns(null, "public", "jd", null), "COLUMN_NAME"), List.of("id", "name", "price", "at", "tags"));
        is(column(m.getColumns(null, "public", "jd", "%"), "COLUMN_SIZE").subList(0, 3), List.of("19", "20", "10"));
        is(column(m.getPrimaryKeys(null, "public", "jd"), "COLUMN_NAME"), List.of("id"));
        is(column(m.getIndexInfo(null, "public", "jd", true, false), "INDEX_NAME"), List.of("jd_name_key", "jd_pkey"));
        is(column(m.getSchemas(), "TABLE_SCHEM").contains("public"), true);
        is(column(m.getCatalogs(), "TABLE_CAT").contains(c.getCatalog()), true);
        is(column(m.getTypeInfo(), "TYPE_NAME").contains("timestamptz"), true);
        is(column(m.getImportedKeys(null, "public", "jd"), "PKTABLE_NAME"), List.of());
        is(column(m.getExportedKeys(null, "public", "jd"), "PKTABLE_NAME"), List.of());
        is(column(m.getCrossReference(null, null, "jd", null, null, "jd"), "PKTABLE_NAME"), List.of());
        is(column(m.getFunctions(null, null, "lower"), "FUNCTION_NAME").contains("lower"), true);
        is(column(m.getFunctionColumns(null, null, "lower", null), "FUNCTION_NAME").contains("lower"), true);
        column(m.getProcedures(null, null, "%"), "PROCEDURE_NAME");
        column(m.getTablePrivileges(null, "public", "jd"), "PRIVILEGE");
        column(m.getColumnPrivileges(null, "public", "jd", "id"), "PRIVILEGE");
        column(m.getBestRowIdentifier(null, "public", "jd", DatabaseMetaData.bestRowSession, false), "COLUMN_NAME");
        column(m.getVersionColumns(null, "public", "jd"), "COLUMN_NAME");
        column(m.getTableTypes(), "TABLE_TYPE");
        column(m.getUDTs(null, null, "%", null), "TYPE_NAME");
        column(m.getClientInfoProperties(), "NAME");
        is(m.getSQLKeywords().isEmpty(), false);
        is(m.getMaxColumnNameLength() > 0, true);
    }

    static void fetching(Connection c) throws SQLException {
        c.setAutoCommit(false);
        try (Statement s = c.createStatement()) {
            s.setFetchSize(7); // a portal that is asked again
            int n = 0;
            try (ResultSet r = s.executeQuery("SELECT g FROM generate_series(1, 1000) g")) {
                while (r.next()) is(r.getInt(1), ++n);
            }
            is(n, 1000);
            s.setMaxRows(3);
            int rows = 0;
            try (ResultSet r = s.executeQuery("SELECT * FROM jd")) {
                while (r.next()) rows++;
            }
            is(rows, 3);
        }
        c.commit();
        c.setAutoCommit(true);
    }

    static void transactions(Connection c) throws SQLException {
        c.setAutoCommit(false);
        c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        is(c.getTransactionIsolation(), Connection.TRANSACTION_REPEATABLE_READ);
        try (Statement s = c.createStatement()) {
            s.executeUpdate("DELETE FROM jd WHERE id = 1");
            Savepoint p = c.setSavepoint("p");
            s.executeUpdate("DELETE FROM jd");
            c.rollback(p);
            try (ResultSet r = s.executeQuery("SELECT count(*) FROM jd")) {
                r.next();
                is(r.getInt(1), 49);
            }
            c.rollback();
        }
        c.setReadOnly(true);
        try (Statement s = c.createStatement()) {
            s.executeUpdate("DELETE FROM jd");
            throw new AssertionError("no error");
        } catch (SQLException e) {
            is(e.getSQLState(), "25006");
        }
        c.rollback();
        c.setReadOnly(false);
        c.setAutoCommit(true);
        c.setSchema("public");
        is(c.getSchema(), "public");
    }

    static void copying(Connection c) throws Exception {
        org.postgresql.copy.CopyManager m = c.unwrap(org.postgresql.PGConnection.class).getCopyAPI();
        is(m.copyIn("COPY jd (id, name) FROM STDIN", new java.io.StringReader("900\tcopied\n")), 1L);
        java.io.StringWriter out = new java.io.StringWriter();
        is(m.copyOut("COPY (SELECT id, name, price FROM jd WHERE id = 900) TO STDOUT WITH CSV HEADER", out), 1L);
        is(out.toString(), "id,name,price\n900,copied,\n");
    }

    static void cancelled(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.setQueryTimeout(1);
            s.executeQuery("SELECT pg_sleep(20)");
            throw new AssertionError("no error");
        } catch (SQLException e) {
            is(e.getSQLState(), "57014");
        }
    }
}
