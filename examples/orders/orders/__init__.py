"""An order that reserves stock, charges, waits for approval and ships."""
