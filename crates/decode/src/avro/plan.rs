//! A writer schema → the steps by which its records are read.

use apache_avro::Schema;
use streamgauge_events::Kind;

use super::schema::{AvroSchemaError, SchemaName};

#[derive(Clone, Debug)]
pub struct Plan {}

impl Plan {
    pub fn new(_kind: Kind, _name: SchemaName, _schema: &Schema) -> Result<Self, AvroSchemaError> {
        Ok(Self {})
    }
}
