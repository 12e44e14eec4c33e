"""Names, shapes, units and limits that other stages and other people's programs rely on. Pure: no I/O, no Faust."""
