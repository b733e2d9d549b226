<?php
// What holds for the whole site: Settings → Media.

if ( ! defined( 'ABSPATH' ) ) {
	exit;
}

/** Trackers, separated by spaces: what is not the address of a WebSocket is left out. */
function potluck_trackers( $given ) {
	$given = is_string( $given ) ? $given : '';
	return implode( ' ', preg_grep( '#^wss?://[^\s"\'<>]+$#', preg_split( '/[\s,]+/', $given, -1, PREG_SPLIT_NO_EMPTY ) ) );
}

/** STUN and TURN servers, as JSON; empty when it is no list. */
function potluck_ice_servers( $given ) {
	$list = is_string( $given ) ? json_decode( $given, true ) : null;
	return is_array( $list ) && array() !== $list && array_keys( $list ) === range( 0, count( $list ) - 1 ) ? wp_json_encode( $list, JSON_UNESCAPED_SLASHES ) : '';
}

add_action( 'admin_init', function () {
	add_settings_section( 'potluck', 'Potluck', '__return_empty_string', 'media' );
	$fields = array(
		'potluck_trackers'    => array( __( 'Trackers', 'potluck' ), 'wss://site.example/announce', __( 'Where viewers find each other: addresses of WebTorrent trackers, separated by spaces. Without one nobody shares.', 'potluck' ) ),
		'potluck_ice_servers' => array( __( 'STUN and TURN servers', 'potluck' ), '[{ "urls": "stun:stun.site.example:3478" }]', __( 'As JSON. Without one only viewers of the same network share. Whoever runs such a server learns the addresses of your viewers.', 'potluck' ) ),
	);
	foreach ( $fields as $name => list( $label, $example, $help ) ) {
		register_setting( 'media', $name, array( 'type' => 'string', 'default' => '', 'sanitize_callback' => 'potluck_ice_servers' === $name ? 'potluck_ice_servers' : 'potluck_trackers' ) );
		add_settings_field( $name, $label, function () use ( $name, $example, $help ) {
			printf(
				'<input type="text" class="large-text code" id="%1$s" name="%1$s" value="%2$s" placeholder="%3$s" aria-describedby="%1$s-help"><p class="description" id="%1$s-help">%4$s</p>',
				esc_attr( $name ),
				esc_attr( get_option( $name, '' ) ),
				esc_attr( $example ),
				esc_html( $help )
			);
		}, 'media', 'potluck', array( 'label_for' => $name ) );
	}
} );
