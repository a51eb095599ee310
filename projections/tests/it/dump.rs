//! Everything that stands in a file of read tables, as text.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use std::path::Path;

/// Opens a file beside those who use it, or makes one.
pub(crate) async fn connect(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// One line for each row, tables and rows in a fixed order.
pub(crate) async fn dump(path: &Path) -> Vec<String> {
    let mut db = connect(path).await;
    let mut lines = Vec::new();
    let tables = sqlx::query(
        "SELECT t.name, group_concat(quote(c.name)) FROM sqlite_schema AS t
         JOIN pragma_table_info(t.name) AS c WHERE t.type = 'table' GROUP BY t.name ORDER BY t.name",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    for table in &tables {
        let (name, columns): (String, String) = (table.get(0), table.get(1));
        let values: Vec<String> = columns
            .split(',')
            .map(|column| format!("{} || '=' || quote({})", column, column.replace('\'', "\"")))
            .collect();
        let sql = format!(
            "SELECT {} FROM {name} ORDER BY 1",
            values.join(" || ' ' || ")
        );
        for row in sqlx::query(AssertSqlSafe(sql))
            .fetch_all(&mut db)
            .await
            .unwrap()
        {
            lines.push(format!("{name}: {}", row.get::<String, _>(0)));
        }
    }
    db.close().await.unwrap();
    lines
}
