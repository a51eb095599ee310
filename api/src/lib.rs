//! The /v1 HTTP surface: routes, authentication, pages and JSON shapes.
