"""The story that `lumbung demo` plays: decree, disbursement, sales and faults on real parts."""
