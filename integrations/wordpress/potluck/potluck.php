<?php
/**
 * Plugin Name: Potluck
 * Description: A video player whose viewers carry the stream for each other: shortcode and block.
 * Version: 0.1.0
 * Requires at least: 6.1
 * Requires PHP: 7.4
 * License: MIT OR Apache-2.0
 * Text Domain: potluck
 */

if ( ! defined( 'ABSPATH' ) ) {
	exit;
}

require __DIR__ . '/settings.php';

/** Attributes that are texts, with their defaults. */
const POTLUCK_TEXTS = array(
	'instance' => '', 'video' => '', 'swarm' => '', 'swarm_token' => '', 'publisher_key' => '', 'min_viewers' => '', 'p2p' => '', 'consent' => 'ask',
	'upload_limit' => '', 'upload_budget' => '', 'scheme' => '', 'heading' => '', 'preload' => 'none',
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
	if ( is_feed() ) {
		return potluck_link( $values );
	}
	$values['trackers']    = potluck_trackers( potluck_text( $given, 'trackers', get_option( 'potluck_trackers', '' ) ) );
	$values['ice-servers'] = potluck_ice_servers( get_option( 'potluck_ice_servers', '' ) );
	wp_enqueue_script( 'potluck' );
	$html = '<potluck-player';
	foreach ( $values as $name => $value ) {
		if ( '' !== $value ) {
			$html .= ' ' . $name . '="' . esc_attr( $value ) . '"';
		}
	}
	foreach ( POTLUCK_SWITCHES as $name ) {
		// As in HTML, the bare name will do.
		$bare = in_array( $name, array_filter( $given, 'is_int', ARRAY_FILTER_USE_KEY ), true );
		if ( $bare || in_array( potluck_text( $given, $name, '' ), array( '1', 'true', 'on', $name ), true ) ) {
			$html .= ' ' . $name;
		}
	}
	$width = (int) potluck_text( $given, 'width', '0' );
	if ( $width > 0 ) {
		$html .= ' style="max-width: ' . $width . 'px"';
	}
	return $html . '></potluck-player>';
}

/** A block: the same, in an element that has its alignment. */
function potluck_render_block( $given ) {
	$html = potluck_render( $given );
	return '' === $html ? '' : '<figure ' . get_block_wrapper_attributes() . '>' . $html . '</figure>';
}

/** For readers of feeds, who run no scripts. */
function potluck_link( $values ) {
	$url  = $values['src'];
	if ( '' === $url ) {
		$url = preg_replace( '#^(?!https?://)#', 'https://', untrailingslashit( $values['instance'] ) ) . '/w/' . rawurlencode( $values['video'] );
	}
	$text = '' === $values['heading'] ? $url : $values['heading'];
	return '<a href="' . esc_url( $url ) . '">' . esc_html( $text ) . '</a>';
}

/** An attribute as a text; the default too where it is empty. */
function potluck_text( $given, $name, $default ) {
	$value = isset( $given[ $name ] ) ? $given[ $name ] : '';
	if ( is_bool( $value ) ) {
		$value = $value ? '1' : '';
	}
	$text = is_scalar( $value ) ? trim( (string) $value ) : '';
	return '' === $text ? (string) $default : $text;
}

/** The player's script is a module, which WordPress knows to load by itself from 6.5 on only. */
function potluck_script_tag( $tag, $handle, $src ) {
	return 'potluck' === $handle ? wp_get_script_tag( array( 'type' => 'module', 'src' => $src, 'id' => 'potluck-js' ) ) : $tag;
}

add_action( 'init', function () {
	// No version in the address: the files beside it are loaded without one, and all have to be of one make.
	wp_register_script( 'potluck', plugins_url( 'player/potluck.js', __FILE__ ), array(), null, true );
	add_filter( 'script_loader_tag', 'potluck_script_tag', 10, 3 );
	add_shortcode( 'potluck', 'potluck_render' );
	register_block_type( __DIR__ . '/block', array( 'render_callback' => 'potluck_render_block' ) );
} );
