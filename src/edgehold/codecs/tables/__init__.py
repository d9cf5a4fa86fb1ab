"""Tables: what programs and tools see of a record that is no FHIR, as columns in files.

A table is a mapping of file names to bytes: columns, little-endian and of one length, whose names end with what they hold
(`.u8`, `.u32`, `.i64`, `.f64`); `strings.json`, the distinct strings that `.u32` columns point into, sorted by code point,
the empty one first; and `schema.json`, which names the schema, the rows, each column, and what holds of all rows.

    schema                  from                                                   module
    ──────────────────────  ─────────────────────────────────────────────────────  ──────────────
    edgehold.events/1       FHIR                                                   codecs.events
                            tables of laboratories                                 laboratory
                            minutes of wearables                                   minutes
                            Apple Health                                           apple
                            annotations of signals (WFDB)                          annotations
    edgehold.genotypes/1    VCF and gVCF; genotypes of 23andMe and AncestryDNA     variants, arrays
    edgehold.signals/1      signals (WFDB)                                         signals
    edgehold.images/1       the elements of DICOM files                            images

A table is derived from the original, which stays the source of truth, and equal originals give equal tables.
"""
