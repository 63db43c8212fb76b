//! What whoever serves from the tables must be allowed there.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

/// Ours; somebody else's may stand beside them.
const TABLES: [&str; 8] = [
    "meta", "lane", "batch", "counter", "claim", "record", "event", "lease",
];
/// Of a schema that is there, and of its tables: one's rights can be seen without having any.
const LACKING: &str = "SELECT 'USAGE on schema ' || nspname FROM pg_namespace
     WHERE nspname = $1 AND NOT has_schema_privilege(oid, 'USAGE')
     UNION ALL
     (SELECT string_agg(needed, ', ' ORDER BY nth) || ' on ' || nspname || '.' || relname
      FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS rights (needed, nth)
      WHERE nspname = $1 AND relname = ANY ($2) AND NOT has_table_privilege(pg_class.oid, needed)
      GROUP BY nspname, relname ORDER BY relname)";

/// The rights that this role lacks, each with where.
pub(crate) async fn lacking(client: &Client, schema: &str) -> Result<Vec<String>, Error> {
    let tables = TABLES.as_slice();
    let rows = client
        .query_typed(LACKING, &[(&schema, Type::TEXT), (&tables, Type::TEXT_ARRAY)])
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
