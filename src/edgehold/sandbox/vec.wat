;; The sums of the interface `vec`, over blocks of columns that the host has read into this module's memory.
;;
;; Row i of a column belongs to lane i mod 8. Each lane starts at zero and adds the products of its rows in their order;
;; every product and every sum is rounded to binary64. The total is ((l0+l1)+(l2+l3))+((l4+l5)+(l6+l7)). Nothing is
;; fused and nothing is relaxed, so the total has the same bits on every machine.
;;
;; Kinds of columns: 0 u8 · 1 u32 · 2 i64 · 3 f64 · 4 none: all its rows are one.
(module
  ;; 64 kB for widened parts, from 65,536 on 512 kB for the left block, from 589,824 on 512 kB for the right one
  (memory (export "memory") 17 17)
  (global $left_kind (mut i32) (i32.const 4))
  (global $right_kind (mut i32) (i32.const 4))
  (global $lanes01 (mut v128) (v128.const i64x2 0 0))
  (global $lanes23 (mut v128) (v128.const i64x2 0 0))
  (global $lanes45 (mut v128) (v128.const i64x2 0 0))
  (global $lanes67 (mut v128) (v128.const i64x2 0 0))

  ;; Begin a new sum over columns of these kinds.
  (func (export "begin") (param $left_kind i32) (param $right_kind i32)
    (global.set $left_kind (local.get $left_kind))
    (global.set $right_kind (local.get $right_kind))
    (global.set $lanes01 (v128.const i64x2 0 0))
    (global.set $lanes23 (v128.const i64x2 0 0))
    (global.set $lanes45 (v128.const i64x2 0 0))
    (global.set $lanes67 (v128.const i64x2 0 0)))

  ;; Add the products of the rows of the two blocks, at least one. What lies after the rows up to a multiple of eight is
  ;; zero; only the last block may have another number of rows than a multiple of eight.
  (func (export "add") (param $rows i32)
    (local $left i32) (local $right i32) (local $part i32)
    (local.set $rows (i32.and (i32.add (local.get $rows) (i32.const 7)) (i32.const -8)))
    (local.set $left (i32.const 65536))
    (local.set $right (i32.const 589824))
    (if (i32.and (i32.eqz (global.get $left_kind)) (i32.eq (global.get $right_kind) (i32.const 3)))
      (then (return (call $multiply_bytes (local.get $left) (local.get $right) (local.get $rows)))))
    (loop $next
      (local.set $part
        (select (i32.const 1024) (local.get $rows) (i32.gt_u (local.get $rows) (i32.const 1024))))
      (call $multiply
        (call $widen (local.get $left) (global.get $left_kind) (i32.const 0) (local.get $part))
        (call $widen (local.get $right) (global.get $right_kind) (i32.const 8192) (local.get $part))
        (local.get $part))
      (local.set $left (i32.add (local.get $left) (i32.mul (local.get $part) (call $width (global.get $left_kind)))))
      (local.set $right (i32.add (local.get $right) (i32.mul (local.get $part) (call $width (global.get $right_kind)))))
      (br_if $next (local.tee $rows (i32.sub (local.get $rows) (local.get $part))))))

  ;; The sum of all that was added since the beginning.
  (func (export "total") (result f64)
    (f64.add
      (f64.add
        (f64.add (f64x2.extract_lane 0 (global.get $lanes01)) (f64x2.extract_lane 1 (global.get $lanes01)))
        (f64.add (f64x2.extract_lane 0 (global.get $lanes23)) (f64x2.extract_lane 1 (global.get $lanes23))))
      (f64.add
        (f64.add (f64x2.extract_lane 0 (global.get $lanes45)) (f64x2.extract_lane 1 (global.get $lanes45)))
        (f64.add (f64x2.extract_lane 0 (global.get $lanes67)) (f64x2.extract_lane 1 (global.get $lanes67))))))

  ;; Bytes of one row of a kind.
  (func $width (param $kind i32) (result i32)
    (block $u8 (block $u32 (block $wide (block $none
      (br_table $u8 $u32 $wide $wide $none (local.get $kind)))
      (return (i32.const 0)))
      (return (i32.const 8)))
      (return (i32.const 4)))
    (i32.const 1))

  ;; Where the rows of a part lie as f64: at `to`, unless they are f64 already.
  (func $widen (param $from i32) (param $kind i32) (param $to i32) (param $rows i32) (result i32)
    (local $at i32) (local $end i32) (local $low v128) (local $high v128)
    (local.set $at (local.get $to))
    (local.set $end (i32.add (local.get $to) (i32.shl (local.get $rows) (i32.const 3))))
    (block $u8 (block $u32 (block $i64 (block $f64 (block $none
      (br_table $u8 $u32 $i64 $f64 $none (local.get $kind)))
      ;; none
      (loop $next
        (v128.store (local.get $at) (v128.const f64x2 1 1))
        (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))
      (return (local.get $to)))
      ;; f64
      (return (local.get $from)))
      ;; i64, each rounded to the nearest f64, halves to the even one
      (loop $next
        (f64.store (local.get $at) (f64.convert_i64_s (i64.load (local.get $from))))
        (local.set $from (i32.add (local.get $from) (i32.const 8)))
        (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (local.get $end))))
      (return (local.get $to)))
      ;; u32
      (loop $next
        (local.set $low (v128.load64_zero (local.get $from)))
        (v128.store (local.get $at) (f64x2.convert_low_i32x4_u (local.get $low)))
        (local.set $from (i32.add (local.get $from) (i32.const 8)))
        (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))
      (return (local.get $to)))
    ;; u8, as i32: none is so large that its sign matters, and the conversion is one instruction
    (loop $next
      (local.set $high (v128.load8x8_u (local.get $from)))
      (local.set $low (i32x4.extend_low_i16x8_u (local.get $high)))
      (local.set $high (i32x4.extend_high_i16x8_u (local.get $high)))
      (v128.store (local.get $at) (f64x2.convert_low_i32x4_s (local.get $low)))
      (v128.store offset=16 (local.get $at) (f64x2.convert_low_i32x4_s
        (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $low) (local.get $low))))
      (v128.store offset=32 (local.get $at) (f64x2.convert_low_i32x4_s (local.get $high)))
      (v128.store offset=48 (local.get $at) (f64x2.convert_low_i32x4_s
        (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $high) (local.get $high))))
      (local.set $from (i32.add (local.get $from) (i32.const 8)))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 64))) (local.get $end))))
    (local.get $to))

  ;; Add the products of a part of u8 and one of f64 to the lanes, as `$widen` and `$multiply` would in two passes.
  (func $multiply_bytes (param $left i32) (param $right i32) (param $rows i32)
    (local $end i32) (local $low v128) (local $high v128)
    (local $l01 v128) (local $l23 v128) (local $l45 v128) (local $l67 v128)
    (local.set $end (i32.add (local.get $left) (local.get $rows)))
    (local.set $l01 (global.get $lanes01))
    (local.set $l23 (global.get $lanes23))
    (local.set $l45 (global.get $lanes45))
    (local.set $l67 (global.get $lanes67))
    (loop $next
      (local.set $high (v128.load8x8_u (local.get $left)))
      (local.set $low (i32x4.extend_low_i16x8_u (local.get $high)))
      (local.set $high (i32x4.extend_high_i16x8_u (local.get $high)))
      (local.set $l01 (f64x2.add (local.get $l01)
        (f64x2.mul (f64x2.convert_low_i32x4_s (local.get $low)) (v128.load (local.get $right)))))
      (local.set $l23 (f64x2.add (local.get $l23)
        (f64x2.mul
          (f64x2.convert_low_i32x4_s
            (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $low) (local.get $low)))
          (v128.load offset=16 (local.get $right)))))
      (local.set $l45 (f64x2.add (local.get $l45)
        (f64x2.mul (f64x2.convert_low_i32x4_s (local.get $high)) (v128.load offset=32 (local.get $right)))))
      (local.set $l67 (f64x2.add (local.get $l67)
        (f64x2.mul
          (f64x2.convert_low_i32x4_s
            (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $high) (local.get $high)))
          (v128.load offset=48 (local.get $right)))))
      (local.set $right (i32.add (local.get $right) (i32.const 64)))
      (br_if $next (i32.lt_u (local.tee $left (i32.add (local.get $left) (i32.const 8))) (local.get $end))))
    (global.set $lanes01 (local.get $l01))
    (global.set $lanes23 (local.get $l23))
    (global.set $lanes45 (local.get $l45))
    (global.set $lanes67 (local.get $l67)))

  ;; Add the products of two parts of f64 to the lanes.
  (func $multiply (param $left i32) (param $right i32) (param $rows i32)
    (local $end i32) (local $l01 v128) (local $l23 v128) (local $l45 v128) (local $l67 v128)
    (local.set $end (i32.add (local.get $left) (i32.shl (local.get $rows) (i32.const 3))))
    (local.set $l01 (global.get $lanes01))
    (local.set $l23 (global.get $lanes23))
    (local.set $l45 (global.get $lanes45))
    (local.set $l67 (global.get $lanes67))
    (loop $next
      (local.set $l01 (f64x2.add (local.get $l01)
        (f64x2.mul (v128.load (local.get $left)) (v128.load (local.get $right)))))
      (local.set $l23 (f64x2.add (local.get $l23)
        (f64x2.mul (v128.load offset=16 (local.get $left)) (v128.load offset=16 (local.get $right)))))
      (local.set $l45 (f64x2.add (local.get $l45)
        (f64x2.mul (v128.load offset=32 (local.get $left)) (v128.load offset=32 (local.get $right)))))
      (local.set $l67 (f64x2.add (local.get $l67)
        (f64x2.mul (v128.load offset=48 (local.get $left)) (v128.load offset=48 (local.get $right)))))
      (local.set $right (i32.add (local.get $right) (i32.const 64)))
      (br_if $next (i32.lt_u (local.tee $left (i32.add (local.get $left) (i32.const 64))) (local.get $end))))
    (global.set $lanes01 (local.get $l01))
    (global.set $lanes23 (local.get $l23))
    (global.set $lanes45 (local.get $l45))
    (global.set $lanes67 (local.get $l67))))
