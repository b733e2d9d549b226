<?php
/**
 * Plugin Name: Potluck
 * Description: A video player whose viewers carry the stream for each other: shortcode and block.
 * Version: 0.1.0
 * Requires at least: 6.5
 * Requires PHP: 7.4
 * License: MIT OR Apache-2.0
 */

if ( ! defined( 'ABSPATH' ) ) {
	exit;
}

/** Attributes that are texts, with their defaults. */
const POTLUCK_TEXTS = array(
	'instance' => '', 'video' => '', 'swarm' => '', 'p2p' => '', 'consent' => 'ask', 'upload_limit' => '', 'heading' => '', 'preload' => 'none',
);
/** Attributes that are addresses. */
const POTLUCK_URLS = array( 'src', 'poster', 'hashes' );
/** Attributes that are there or not. */
const POTLUCK_SWITCHES = array( 'autoplay', 'muted', 'loop' );

/** The player's element for a shortcode's or a block's attributes; empty without anything to play. */
function potluck_render( $given ) {
	$given  = is_array( $given ) ? $given : array();
	$values = array();
	foreach ( POTLUCK_URLS as $name ) {
		$values[ $name ] = esc_url_raw( potluck_text( $given, $name, '' ), array( 'http', 'https' ) );
	}
	foreach ( POTLUCK_TEXTS as $name => $default ) {
		$values[ str_replace( '_', '-', $name ) ] = potluck_text( $given, $name, $default );
	}
	if ( '' === $values['src'] && ( '' === $values['instance'] || '' === $values['video'] ) ) {
		return '';
	}
	$trackers = preg_split( '/\s+/', potluck_text( $given, 'trackers', (string) get_option( 'potluck_trackers', '' ) ), -1, PREG_SPLIT_NO_EMPTY );
	$values['trackers'] = implode( ' ', array_filter( $trackers, function ( $one ) {
		return 1 === preg_match( '#^wss?://[^\s"\'<>]+$#', $one );
	} ) );
	wp_enqueue_script_module( 'potluck' );
	$html = '<potluck-player';
	foreach ( $values as $name => $value ) {
		if ( '' !== $value ) {
			$html .= ' ' . $name . '="' . esc_attr( $value ) . '"';
		}
	}
	foreach ( POTLUCK_SWITCHES as $name ) {
		if ( in_array( potluck_text( $given, $name, '' ), array( '1', 'true', 'on', $name ), true ) ) {
			$html .= ' ' . $name;
		}
	}
	$width = (int) potluck_text( $given, 'width', '0' );
	if ( $width > 0 ) {
		$html .= ' style="max-width: ' . $width . 'px"';
	}
	return $html . '></potluck-player>';
}

/** An attribute as a text. */
function potluck_text( $given, $name, $default ) {
	$value = isset( $given[ $name ] ) ? $given[ $name ] : $default;
	if ( is_bool( $value ) ) {
		return $value ? '1' : '';
	}
	return is_scalar( $value ) ? trim( (string) $value ) : $default;
}

add_action( 'init', function () {
	wp_register_script_module( 'potluck', plugins_url( 'player/potluck.js', __FILE__ ), array(), '0.1.0' );
	add_shortcode( 'potluck', 'potluck_render' );
	register_block_type( __DIR__ . '/block', array( 'render_callback' => 'potluck_render' ) );
} );
